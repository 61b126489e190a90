"""Representative samples: from any form a user has them in, checked for what can't be right."""
