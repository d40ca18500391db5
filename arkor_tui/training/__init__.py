"""Keep the names under which trainer files of version 0.1 import tools and typed replies."""
