"""What AWS says: a folder a service. Validates, writes intent, reads records. Starts nothing."""
