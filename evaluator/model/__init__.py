"""The four-layer models of MAD (arXiv 2403.17844): layers, mixers, backbones, several members as one."""
