"""Real libraries and agents against fake model APIs and the product: is what was billed what is booked?"""
