"""What student and self-teacher of a configuration see of one problem, on this machine (`gapcast contexts render`)."""
