"""Points of an image and what surrounds them, and which of two images belong together.

kornia is imported first of all, without what nothing here uses.
"""

from models.embedding.lean_imports import import_kornia

import_kornia()
