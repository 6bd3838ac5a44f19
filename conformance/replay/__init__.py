"""HLO on compilers that know nothing of Neuron."""
