from .columns import table_columns as table_columns
from .columns import video_columns as video_columns
from .rows import iterate_faces as iterate_faces
from .table import analyze_faces as analyze_faces
from .video import analyze_video as analyze_video
from .video import iterate_video as iterate_video
