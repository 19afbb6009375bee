"""HTTP towards SMSBAT. The only room that imports httpx."""
