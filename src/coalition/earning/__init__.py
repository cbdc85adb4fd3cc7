"""A merchant's terms and what they make of a purchase. Pure: nothing here touches the world."""
