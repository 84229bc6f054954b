"""Pages that are made from the code when the site is built.

Unlike ``calico_docs``, which is a black box, what is here may import the product.
"""
