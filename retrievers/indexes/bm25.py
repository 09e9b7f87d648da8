"""What BM25 is told wherever words are searched, in files and in databases.

Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework: BM25 and Beyond"; the usual constants.
"""

from __future__ import annotations

K1 = 1.2
B = 0.75
TITLE_BOOST = 0.3
"""What a word in the title counts, beside what it counts in the text."""
