set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
"Q8_0\nbaseline" 43.75 0.1875 0.0625
"Q8_0\nN=2" 29.75 0.1875 0.0625
"Q8_0\noffload" 7.75 0.1875 0.0625
"Q4_K_M\nbaseline" 23.75 0.1875 0.0625
"Q4_K_M\nN=2" 17.75 0.1875 0.0625
"Q4_K_M\noffload" 5.75 0.1875 0.0625
"Q2_K\nbaseline" 15.75 0.1875 0.0625
"Q2_K\nN=2" 10.75 0.1875 0.0625
"Q2_K\noffload" 3.75 0.1875 0.0625
EOD
set style data histograms
set style histogram rowstacked
set boxwidth 0.7
set xtics font ",10"
set bmargin 3.5
set ylabel "VRAM, GiB"
set yrange [0:*]
set key outside top center horizontal
plot $data0 using 2:xtic(1) title "model" lc rgb "#0072b2", '' using 3 title "KV cache" lc rgb "#e69f00", '' using 4 title "compute" lc rgb "#009e73"
</svg>
