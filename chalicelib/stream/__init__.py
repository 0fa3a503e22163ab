"""Records of a Kinesis shard, as Lambda delivers them or as a replay reads them again."""
