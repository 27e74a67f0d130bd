"""One file for each peer. To add one, write a file that has what `bench.harness.protocol.PeerFile` says."""
