"""What is known of each network, one TOML file a network, and the catalogue that reads them."""
