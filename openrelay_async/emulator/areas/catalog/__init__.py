"""What can be rented: GPU models, the fleet, prices, places, images, models."""
