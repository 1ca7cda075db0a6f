"""The bundled reader: it reads each passage once and chooses its answer among their spans."""
