"""The mapping engine: files -> schema -> compiled plan -> run. A dialect is data, an operation is code."""
