"""Files of ``ouroboros emit``, and the check of what is connected to what in them."""
