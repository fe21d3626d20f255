"""One front door for every AI call, with limits that hold."""
