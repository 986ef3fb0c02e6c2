"""churnguard-api: the lab's sample application, a small Flask service that answers with its version."""
