"""What tests need: markers by folder, isolation from the network and the developer's settings."""
