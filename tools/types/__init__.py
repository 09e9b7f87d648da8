"""The tools that graph files name by their types: the modules beside this one, as a model calls them."""
