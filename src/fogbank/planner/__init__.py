"""What things would cost and do, before they are done: no AWS, no processes, no clock."""
