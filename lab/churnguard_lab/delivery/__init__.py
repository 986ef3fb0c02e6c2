"""The parts of the delivery benchmark, one subject each; churnguard_lab.bench_delivery runs them."""
