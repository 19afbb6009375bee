"""What the tests are written with: real servers, raw sockets, files as a deployment has them."""
