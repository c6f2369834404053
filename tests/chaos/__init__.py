"""What happens to people: killed processes, full disks, cut slides, crowded folders."""
