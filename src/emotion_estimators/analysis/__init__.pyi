from .rows import iterate_faces as iterate_faces
from .rows import table_columns as table_columns
from .table import analyze_faces as analyze_faces
