"""What the Connect page says: what has arrived, and what may have been counted twice."""
