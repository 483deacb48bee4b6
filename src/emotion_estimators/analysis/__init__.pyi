from .face_rows import iterate_faces as iterate_faces
from .face_rows import table_columns as table_columns
from .face_table import analyze_faces as analyze_faces
