"""Trade requests judged and carried out, and what the passing of time does to what rests."""
