"""The forms that the D-CPT paper compares its law with (Que et al. 2024, 2406.01375, section 4.2 and appendix E).

L3 is the law itself. Where a form alone lets more of its own data raise a loss, it is held to the constraint that the
paper puts on L3, so that all of them answer the same questions.
"""

from bayescpt.laws.rivals.l1 import L1
from bayescpt.laws.rivals.l2 import L2
from bayescpt.laws.rivals.l4 import L4
from bayescpt.laws.rivals.l5 import L5
from bayescpt.laws.rivals.l6 import L6
from bayescpt.laws.rivals.l7 import L7

RIVALS = (L1(), L2(), L4(), L5(), L6(), L7())

__all__ = ["L1", "L2", "L4", "L5", "L6", "L7", "RIVALS"]
