"""The ledger: a gateway is killed hundreds of times under load, and the books of all who had to do with it compared."""
