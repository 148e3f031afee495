"""What a prompt says, part by part: plain sentences and values from the snapshot, without layout."""
