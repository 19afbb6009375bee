"""What a request becomes and why, told step by step to the engineer who migrates it."""
