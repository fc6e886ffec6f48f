set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$front << EOD
49.5 2.000000e-03 1.900000e-03 2.100000e-03 "Q8_0"
79.2 1.000000e-02 9.500000e-03 1.050000e-02 "Q4_K_M"
99 2.000000e-01 1.900000e-01 2.100000e-01 "Q2_K"
EOD
$other0 << EOD
9.9 2.000000e-03 1.900000e-03 2.100000e-03 "Q8_0"
19.8 1.000000e-02 9.500000e-03 1.050000e-02 "Q4_K_M"
49.5 2.000000e-01 1.900000e-01 2.100000e-01 "Q2_K"
EOD
$front1 << EOD
99 2.000000e-01 1.900000e-01 2.100000e-01 "Q2_K"
EOD
$other1 << EOD
39.6 2.000000e-03 1.900000e-03 2.100000e-03 "Q8_0"
59.4 1.000000e-02 9.500000e-03 1.050000e-02 "Q4_K_M"
EOD
$front2 << EOD
49.5 2.000000e-03 1.900000e-03 2.100000e-03 "Q8_0"
79.2 1.000000e-02 9.500000e-03 1.050000e-02 "Q4_K_M"
EOD
$other2 << EOD
89.1 2.000000e-01 1.900000e-01 2.100000e-01 "Q2_K"
EOD
set xrange [0:*]
set offsets graph 0, graph 0.1, 0, 0
set logscale y
set yrange [1.570e-04:1.000e+00]
set format y "%g"
set ytics add ("0" 2.512e-04)
set xlabel "decode rate, tokens/s"
set ylabel "mean KL divergence from the original"
set key outside top center horizontal
plot $front using 1:2 with lines lw 1.5 lc rgb "#9aa3b2" title "Pareto front", $other0 using 1:2:3:4 with yerrorbars pt 6 ps 1.2 lw 1.5 lc rgb "#0072b2" title "offload", $other0 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $front1 using 1:2:3:4 with yerrorbars pt 5 ps 1.2 lw 1.5 lc rgb "#e69f00" title "N=2", $front1 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $other1 using 1:2:3:4 with yerrorbars pt 4 ps 1.2 lw 1.5 lc rgb "#e69f00" notitle, $other1 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $front2 using 1:2:3:4 with yerrorbars pt 9 ps 1.2 lw 1.5 lc rgb "#009e73" title "baseline", $front2 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $other2 using 1:2:3:4 with yerrorbars pt 8 ps 1.2 lw 1.5 lc rgb "#009e73" notitle, $other2 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle
</svg>
