"""The lab's logs and traces: files on one machine, read, queried and shown. The command is churnguard_lab.logs."""
