"""What the generator of the workshop's stories is made of: the teller, the cast, the facts and the plots."""
