"""Steps of recurrent cells in operations that LiteRT runs in int8."""
