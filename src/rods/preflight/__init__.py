"""What a run will need and do, found before it begins (`rods train --dry-run`)."""
