"""The parts of the site that are made from the code: settings, commands, departures, suites."""
