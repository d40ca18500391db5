"""Which backend, as whom, for which project; finding and starting the embedded one."""
