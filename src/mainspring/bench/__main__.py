"""`python -m mainspring.bench`."""

import sys

from mainspring.bench import main

sys.exit(main())
