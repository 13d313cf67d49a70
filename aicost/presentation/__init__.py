"""What the templates print: figures from `queries` and `runs`, already in words."""
