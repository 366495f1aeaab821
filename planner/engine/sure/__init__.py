"""How sure an estimate is: fitted constants, and intervals from errors on runs that the fit did not see."""
