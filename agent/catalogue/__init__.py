"""The catalogue: mechanisms for the slots of the for-loop, and genomes made of them."""

from agent.catalogue.genome import CATALOGUE, SLOTS, Genome, known_genome
from agent.catalogue.mechanism import Mechanism
from agent.catalogue.render import render_variant
from agent.catalogue.seeds import SEED_GENOMES

__all__ = ["CATALOGUE", "SEED_GENOMES", "SLOTS", "Genome", "Mechanism", "known_genome", "render_variant"]
