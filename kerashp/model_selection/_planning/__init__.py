"""From candidates and splits to groups that train together: preparation, data, keys and the plan."""
