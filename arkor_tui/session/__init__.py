"""What every face shares: the sitting's connections and runs, supervisors, replays."""
