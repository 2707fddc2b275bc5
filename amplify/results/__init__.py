"""What a run found: objects, their records in results.json, and the words for them."""
