"""The engines' contract on a GPU. It has not run on one yet."""
