"""The calico and calico-ipam CNI plugins and their installer."""
