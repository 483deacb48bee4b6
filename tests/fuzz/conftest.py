"""The scripts here run in processes of their own, where they import each other."""

collect_ignore = ["campaign.py", "seeds.py", "targets.py", "worker.py"]
