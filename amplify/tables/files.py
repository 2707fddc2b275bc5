"""A user's samples, from what is named to checked columns of numbers: the names that other rooms
use.

`sources` opens (.npy, .npz, HDF5, Parquet, ROOT), `selection` chooses columns and the weight,
`physics` says what is left out where none are named, `reading` reads and checks them in chunks,
`description` says what was read. Two-dimensional arrays have columns x0, x1, ..., everything else
has columns by their names.
"""

from amplify.tables.description import describe as describe
from amplify.tables.digests import digesting as digesting
from amplify.tables.physics import ignored_columns as ignored_columns
from amplify.tables.physics import unused_weights as unused_weights
from amplify.tables.physics import weight_notes as weight_notes
from amplify.tables.precision import precision_notes as precision_notes
from amplify.tables.reading import CHUNK as CHUNK
from amplify.tables.reading import MANY as MANY
from amplify.tables.reading import chunks as chunks
from amplify.tables.reading import counted as counted
from amplify.tables.reading import kept_as_read as kept_as_read
from amplify.tables.reading import load as load
from amplify.tables.reading import over_chunks as over_chunks
from amplify.tables.reading import rows_at_once as rows_at_once
from amplify.tables.reading import spread as spread
from amplify.tables.selection import Selection as Selection
from amplify.tables.selection import has_column as has_column
from amplify.tables.selection import names_in as names_in
from amplify.tables.selection import names_in_table as names_in_table
from amplify.tables.selection import refuse_no_numbers as refuse_no_numbers
from amplify.tables.selection import refuse_several as refuse_several
from amplify.tables.selection import same_precision as same_precision
from amplify.tables.selection import select as select
from amplify.tables.selection import written_out as written_out
from amplify.tables.sources import open_sample as open_sample
from amplify.tables.sources import open_table as open_table
from amplify.tables.sources import refuse_twice as refuse_twice
